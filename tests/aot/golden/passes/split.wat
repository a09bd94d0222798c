;; pass split
(module
  (memory 1)
  (func $other (param i32) (result i32) (i32.load (local.get 0)))
  (func $early (param i32) (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (i32.add (call $other (local.get 0)) (local.get 1)))
  (func $late (param i32) (param i32) (result i32)
    (if (local.get 0) (then (drop (call $other (local.get 0)))))
    (i32.mul (local.get 1) (i32.const 3))))
