;; asm
(module
  (memory 1)
  (func $other (param i32) (result i32) (i32.load (local.get 0)))
  ;; The path without the call saves nothing: its return is bare.
  (func $early (export "early") (param i32) (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (i32.add (call $other (local.get 0)) (local.get 1)))
  ;; The value goes on after the call, in a register that was not saved.
  (func $late (export "late") (param i32) (param i32) (result i32)
    (if (local.get 0) (then (drop (call $other (local.get 0)))))
    (i32.mul (local.get 1) (i32.const 3)))
  ;; Code for speed may have a prologue for each of its parts.
  (func $hot_two_parts (export "two parts") (param i32) (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1))
      (then (return (i32.add (call $other (local.get 0)) (local.get 1)))))
    (if (i32.lt_u (i32.load (local.get 1)) (i32.const 9)) (then (return (local.get 0))))
    (i32.sub (call $other (local.get 1)) (i32.load (local.get 1))))
  ;; Code for size has one.
  (func $two_parts (export "two parts, once") (param i32) (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1))
      (then (return (i32.add (call $other (local.get 0)) (local.get 1)))))
    (if (i32.lt_u (i32.load (local.get 1)) (i32.const 9)) (then (return (local.get 0))))
    (i32.sub (call $other (local.get 1)) (i32.load (local.get 1))))
  ;; A loop is inside or outside as a whole.
  (func $loop (export "loop") (param i32) (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (loop $next
      (if (i32.and (local.get 0) (i32.const 1))
        (then (local.set 1 (i32.add (local.get 1) (call $other (local.get 0))))))
      (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))
