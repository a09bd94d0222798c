;; pass threading after clean,gvn
;; A condition made of 0, 1 and a comparison is decided where its parts are. Merges of merges are one. Where the merged value
;; is needed later, those go past the test that know its outcome and do not come there.
(module
  (func (export "and") (param i32 i32) (result i32)
    (if (result i32)
      (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 5))) (else (i32.const 0)))
      (then (i32.const 10))
      (else (i32.const 20))))
  (func (export "early return") (param i32 i32) (result i32)
    (local i32)
    (local.set 2
      (if (result i32) (local.get 0)
        (then (if (result i32) (local.get 1) (then (i32.const 6)) (else (i32.const 1))))
        (else (i32.load (local.get 1)))))
    (if (i32.eq (local.get 2) (i32.const 6)) (then (return (i32.const 0))))
    (i32.mul (local.get 2) (local.get 2)))
  (memory 1))
