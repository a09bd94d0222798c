;; pass switch after clean,gvn
;; Comparisons of one value with constants: dense cases become a table, others a binary search.
(module
  (func (export "dense") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 10))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (return (i32.const 20))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (return (i32.const 30))))
    (if (i32.eq (local.get 0) (i32.const 5)) (then (return (i32.const 50))))
    (i32.const 0))
  (func (export "sparse") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 10))))
    (if (i32.eq (local.get 0) (i32.const 1000)) (then (return (i32.const 20))))
    (if (i32.eq (local.get 0) (i32.const 2000000)) (then (return (i32.const 30))))
    (if (i32.eq (local.get 0) (i32.const -1)) (then (return (i32.const 50))))
    (i32.const 0))
  (func (export "too few") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 10))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (return (i32.const 20))))
    (i32.const 0)))
