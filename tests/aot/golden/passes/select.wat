;; pass select
;; Consumers take what they can in place: loads, constants, address arithmetic, comparisons.
(module
  (memory 1)
  (func (export "folds") (param $p i32) (param $i i32) (result i32)
    (if (i32.gt_s
          (i32.load offset=4096 (i32.add (i32.const 4096) (i32.shl (i32.and (local.get $i) (i32.const 255)) (i32.const 2))))
          (i32.const 10))
      (then (i32.store (local.get $p) (i32.add (i32.load (local.get $p)) (i32.const 1)))))
    (i32.load8_s offset=8 (local.get $p))))
