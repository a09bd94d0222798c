;; pass threading after clean,gvn
;; A condition made of 0, 1 and a comparison is decided where its parts are.
(module
  (func (export "and") (param i32 i32) (result i32)
    (if (result i32)
      (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 5))) (else (i32.const 0)))
      (then (i32.const 10))
      (else (i32.const 20)))))
