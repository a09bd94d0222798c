;; pass counters after clean,gvn,branches
;; Where a loop ends at a value of its counter on every way round, the test in its header always holds; else it stays.
(module
  (memory 1 1)
  (func (export "levels") (param $table i32) (param $at i64) (result i64)
    (local $shift i64) (local $entry i64)
    (local.set $shift (i64.const 39))
    (block $done
      (loop $next
        (br_if $done (i64.lt_u (local.get $shift) (i64.const 12)))
        (local.set $entry (i64.load (i32.add (local.get $table) (i32.wrap_i64 (i64.shr_u (local.get $at) (local.get $shift))))))
        (if (i64.eq (local.get $shift) (i64.const 12)) (then (return (local.get $entry))))
        (local.set $table (i32.wrap_i64 (local.get $entry)))
        (local.set $shift (i64.sub (local.get $shift) (i64.const 9)))
        (br $next)))
    (i64.const -1))
  (func (export "upwards") (param $p i32) (result i32)
    (local $i i32)
    (local.set $i (i32.const -2))
    (block $done
      (loop $next
        (br_if $done (i32.gt_s (local.get $i) (i32.const 6)))
        (i32.store (local.get $p) (local.get $i))
        (br_if $done (i32.eq (local.get $i) (i32.const 6)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $next)))
    (local.get $i))
  (func (export "never_that_value") (param $p i32) (result i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.gt_s (local.get $i) (i32.const 10)))
        (i32.store (local.get $p) (local.get $i))
        (br_if $done (i32.eq (local.get $i) (i32.const 7)))
        (local.set $i (i32.add (local.get $i) (i32.const 2)))
        (br $next)))
    (local.get $i))
  (func (export "not_on_every_way") (param $p i32) (result i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.gt_s (local.get $i) (i32.const 6)))
        (if (i32.load (local.get $p))
          (then (br_if $done (i32.eq (local.get $i) (i32.const 6)))))
        (local.set $i (i32.add (local.get $i) (i32.const 2)))
        (br $next)))
    (local.get $i))
  (func (export "test_is_tighter") (param $p i32) (result i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.gt_s (local.get $i) (i32.const 5)))
        (i32.store (local.get $p) (local.get $i))
        (br_if $done (i32.eq (local.get $i) (i32.const 6)))
        (local.set $i (i32.add (local.get $i) (i32.const 2)))
        (br $next)))
    (local.get $i)))
