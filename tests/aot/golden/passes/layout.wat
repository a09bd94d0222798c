;; pass layout
;; Loops have their test at the bottom; traps come last.
(module
  (memory 1)
  (func (export "rotated") (param $p i32) (result i32) (local $n i32)
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $p)))
        (local.set $p (i32.load (local.get $p)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $n))
  (func (export "cold") (param $x i32) (result i32)
    (block $good
      (br_if $good (i32.lt_u (local.get $x) (i32.const 9)))
      (i32.store (i32.const 8192) (local.get $x))
      (unreachable))
    (i32.mul (local.get $x) (local.get $x))))
