;; pass gvn after clean
;; Equal computations are made once, where they dominate; operations are simplified on the way.
(module
  (func (export "once") (param i32 i32) (result i32)
    (i32.xor
      (i32.mul (i32.add (local.get 0) (local.get 1)) (i32.const 10))
      (i32.mul (i32.add (local.get 0) (local.get 1)) (i32.const 12))))
  (func (export "from the branch above") (param i32 i32) (result i32)
    (if (result i32) (i32.gt_u (local.get 0) (local.get 1))
      (then (i32.shl (i32.gt_u (local.get 0) (local.get 1)) (i32.const 4)))
      (else (local.get 1))))
  (func (export "folded") (param i32) (result i32)
    (i32.and
      (i32.add (i32.add (local.get 0) (i32.const 3)) (i32.const -3))
      (i32.shl (i32.const 255) (i32.const 4))))
  (func (export "division by a constant") (param i32) (result i32)
    (i32.add
      (i32.div_u (local.get 0) (i32.const 8))
      (i32.rem_u (local.get 0) (i32.const 10))))
  (func (export "rotation") (param i64) (result i64)
    (i64.or
      (i64.shl (local.get 0) (i64.const 13))
      (i64.shr_u (local.get 0) (i64.const 51))))
  (func (export "either way round") (param i32 i32) (result i32)
    (i32.sub
      (i32.mul
        (i32.xor (local.get 0) (local.get 1))
        (i32.xor (local.get 1) (local.get 0)))
      (i32.add
        (i32.lt_u (local.get 0) (local.get 1))
        (i32.gt_u (local.get 1) (local.get 0)))))
  (func (export "only the low half is needed") (param i64 i64) (result i32)
    (i32.wrap_i64 (i64.and
      (i64.shl (i64.add (local.get 0) (local.get 1)) (i64.const 3))
      (i64.const 0xffffffffff000))))
  (func (export "the whole is needed as well") (param i64 i64) (result i64) (local $sum i64)
    (local.set $sum (i64.add (local.get 0) (local.get 1)))
    (i64.xor (local.get $sum) (i64.extend_i32_u (i32.popcnt (i32.wrap_i64 (local.get $sum))))))
  (func (export "terms above the mask") (param i64) (result i64)
    (i64.add
      (i64.and (i64.xor (local.get 0) (i64.shl (local.get 0) (i64.const 17))) (i64.const 0x7fff))
      (i64.and (i64.sub (local.get 0) (i64.shl (local.get 0) (i64.const 14))) (i64.const 0x7fff)))))
