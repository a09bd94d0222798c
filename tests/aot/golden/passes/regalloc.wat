;; pass regalloc
;; Copies are coalesced; what lives across a call is in a register that calls keep, or in the frame.
(module
  (func $f (export "f") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (i32.add
      (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1))
      (i32.mul (local.get 0) (local.get 1))))
  (func (export "many") (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)
    (drop (call $f (i32.const 1) (i32.const 2)))
    (i64.sub (local.get 0) (i64.sub (local.get 1) (i64.sub (local.get 2) (i64.sub (local.get 3)
      (i64.sub (local.get 4) (i64.sub (local.get 5) (i64.sub (local.get 6) (i64.sub (local.get 7) (local.get 8)))))))))))
