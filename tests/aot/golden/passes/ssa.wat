;; pass ssa
;; Control flow that is structured becomes blocks: a phi stands only where the values of a local, or of a label, differ.
(module
  (func (export "if") (param $x i32) (param $y i32) (result i32)
    (if (local.get $x)
      (then (local.set $y (i32.const 7)))
      (else (local.set $x (i32.const 8))))
    (i32.sub (local.get $x) (local.get $y)))
  (func (export "loop") (param $n i32) (param $step i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $step)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "table") (param $x i32) (result i32)
    (block $a (result i32)
      (block $b (result i32)
        (br_table $b $a $b (i32.mul (local.get $x) (i32.const 3)) (local.get $x)))
      (drop)
      (i32.const 5)))
  (func (export "two results") (param i32 i64) (result i64 i32)
    (local.get 1)
    (local.get 0)))
