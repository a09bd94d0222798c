;; pass sink after gvn
(module
  (memory 1)
  (func $other (param i32) (result i32) (i32.load (local.get 0)))
  ;; The product is computed where it is returned, not in front of the branch.
  (func $one_way (param i32) (param i32) (result i32)
    (local $product i32)
    (local.set $product (i32.mul (local.get 0) (local.get 1)))
    (if (i32.load (local.get 0)) (then (return (local.get $product))))
    (local.get 1))
  ;; Both ways need it: it stays.
  (func $both_ways (param i32) (param i32) (result i32)
    (local $product i32)
    (local.set $product (i32.mul (local.get 0) (local.get 1)))
    (if (i32.load (local.get 0)) (then (return (local.get $product))))
    (i32.add (local.get $product) (i32.const 1)))
  ;; It does not move into the loop that uses it.
  (func $loop (param i32) (param i32) (result i32)
    (local $product i32)
    (local.set $product (i32.mul (local.get 0) (local.get 1)))
    (loop $next
      (br_if $next (i32.lt_u (call $other (local.get $product)) (local.get 1))))
    (local.get 0)))
