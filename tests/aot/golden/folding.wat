;; asm
(module
  (import "intrinsics" "phys_load64" (func $load64 (param i64) (result i64)))
  (import "intrinsics" "phys_load32" (func $load32 (param i64) (result i32)))
  (import "intrinsics" "phys_store64" (func $store64 (param i64 i64)))
  (memory 1)
  (func $other (param i32) (result i32) (i32.load (local.get 0)))
  ;; A read of physical memory is the operand of its only user.
  (func $compare_physical (param i32) (param i64) (result i32)
    (i64.eq (i64.load (local.get 0)) (call $load64 (local.get 1))))
  (func $or_physical (param i64) (result i32)
    (i32.or (i32.and (call $load32 (local.get 0)) (i32.const 256)) (call $load32 (i64.add (local.get 0) (i64.const 8)))))
  ;; It does not move past a write, nor past a load that may trap.
  (func $past_write (param i64) (param i64) (result i64)
    (local $read i64)
    (local.set $read (call $load64 (local.get 0)))
    (call $store64 (local.get 1) (i64.const 1))
    (i64.add (local.get 1) (local.get $read)))
  (func $past_load (param i64) (param i32) (result i32)
    (local $read i32)
    (local.set $read (call $load32 (local.get 0)))
    (i32.add (i32.mul (i32.load (local.get 1)) (i32.const 9)) (local.get $read)))
  ;; Sources that are not zero need no preset; the number of the highest bit is what the instruction gives.
  (func $leading_zeros (param i64) (result i64) (i64.clz (i64.or (local.get 0) (i64.const 1))))
  (func $trailing_zeros (param i32) (result i32) (i32.ctz (i32.or (local.get 0) (i32.const 64))))
  (func $highest_bit (param i64) (result i64)
    (i64.sub (i64.const 63) (i64.clz (i64.or (local.get 0) (i64.const 1)))))
  (func $highest_bit_narrow (param i32) (result i32)
    (i32.xor (i32.clz (i32.or (local.get 0) (i32.const 1))) (i32.const 31)))
  (func $perhaps_zero (param i64) (result i64) (i64.sub (i64.const 63) (i64.clz (local.get 0))))
  ;; The argument is in place already.
  (func $copied_argument (param i32) (result i32)
    (i32.add (call $other (local.get 0)) (local.get 0)))
  ;; The shift and the disjunction have set the flags.
  (func $shifted (param i64) (result i32)
    (if (i64.ne (i64.shr_u (local.get 0) (i64.const 40)) (i64.const 0)) (then (return (i32.const 7))))
    (i32.const 9))
  (func $selected (param i32) (param i64) (param i64) (result i64)
    (select (i64.const 0) (i64.extend_i32_u (local.get 0)) (i64.ne (i64.or (local.get 1) (local.get 2)) (i64.const 0)))))
