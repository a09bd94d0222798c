;; pass sums after clean,gvn
;; What is ready last is added last, and at once what there is; short sums, and those with a constant, stay as they are.
(module
  (memory 1 1)
  (func (export "late_first") (param $x i32) (param $a i32) (param $b i32) (param $p i32) (result i32)
    (local $late i32)
    (local.set $late (i32.xor (i32.rotl (local.get $x) (i32.const 7)) (i32.rotl (local.get $x) (i32.const 11))))
    (i32.add (i32.add (i32.add (i32.add (local.get $late) (local.get $a)) (i32.shl (local.get $b) (i32.const 5)))
      (i32.load (local.get $p))) (local.get $b)))
  (func (export "needed_elsewhere") (param $a i64) (param $b i64) (param $c i64) (param $d i64) (result i64)
    (local $part i64)
    (local.set $part (i64.add (i64.mul (local.get $a) (local.get $b)) (local.get $c)))
    (i64.mul (local.get $part) (i64.add (i64.add (i64.add (local.get $part) (local.get $d)) (local.get $a)) (local.get $b))))
  (func (export "short") (param $a i32) (param $b i32) (param $c i32) (result i32)
    (i32.add (i32.add (i32.mul (local.get $a) (local.get $b)) (local.get $b)) (local.get $c)))
  (func (export "with_a_constant") (param $a i32) (param $b i32) (param $c i32) (param $d i32) (result i32)
    (i32.add (i32.add (i32.add (i32.add (i32.mul (local.get $a) (local.get $b)) (local.get $b)) (local.get $c))
      (local.get $d)) (i32.const 99))))
