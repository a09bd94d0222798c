;; pass inline
(module
  ;; Smaller than a call: inlined everywhere.
  (func $small (param i32) (result i32)
    (i32.add (local.get 0) (i32.const 1)))
  ;; Several returns, and a result of each: worth its size only between hot functions.
  (func $hotChoice (param i32 i32) (result i32)
    (if (i32.lt_u (local.get 0) (local.get 1)) (then (return (i32.mul (local.get 0) (i32.const 10)))))
    (i32.store (i32.const 8192) (local.get 0))
    (i32.store (i32.const 8196) (local.get 1))
    (i32.sub (local.get 0) (local.get 1)))
  ;; Calls itself: stays a call.
  (func $hotRecursive (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $hotRecursive (i32.sub (local.get 0) (i32.const 1))))
      (else (i32.const 7))))
  ;; Never returns: what follows a call of it is dropped.
  (func $hotStop (unreachable))
  (func $hotCaller (export "a") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 1)) (then (call $hotStop)))
    (call $hotRecursive (call $small (call $hotChoice (local.get 0) (local.get 1)))))
  (func $coldCaller (export "b") (param i32 i32) (result i32)
    (call $small (call $hotChoice (local.get 0) (local.get 1))))
  (memory 1 1))
