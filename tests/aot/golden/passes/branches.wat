;; pass branches after clean,gvn
;; A branch on two conditions becomes two branches.
(module
  (func (export "and") (param i32 i32) (result i32)
    (if (result i32) (i32.and (i32.lt_s (local.get 0) (i32.const 5)) (i32.ne (local.get 1) (i32.const 9)))
      (then (i32.const 1))
      (else (i32.const 2))))
  (func (export "select") (param i32 i32) (result i32)
    (if (result i32) (select (i32.const 1) (i32.eq (local.get 1) (i32.const 9)) (i32.lt_s (local.get 0) (i32.const 5)))
      (then (i32.const 3))
      (else (i32.const 4)))))
