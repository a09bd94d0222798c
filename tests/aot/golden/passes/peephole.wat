;; pass peephole
;; A copy and an addition are one lea; a test after what set the same flags is left out.
(module
  (func (export "lea") (param i64 i64) (result i64)
    (i64.mul (local.get 0) (i64.xor (i64.add (local.get 0) (local.get 1)) (i64.mul (local.get 1) (i64.add (local.get 0) (i64.const 24))))))
  (func (export "flags") (param i32 i32) (result i32)
    (local.set 0 (i32.and (local.get 0) (local.get 1)))
    (if (local.get 0) (then (return (local.get 0))))
    (i32.const 99)))
