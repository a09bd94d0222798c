// Zero-terminated text in linear memory, as loaders leave it: words separated by blanks.

/** A blank or another control character, but not the end. */
export function isBlank(byte: u32): bool {
  return byte != 0 && byte <= 0x20;
}

/** Address of the first byte from `at` on that is not a blank. */
export function skipBlanks(at: usize): usize {
  while (isBlank(load<u8>(at))) at++;
  return at;
}

/** Bytes of the word at `at`. */
export function wordBytes(at: usize): u32 {
  let end = at;
  while (load<u8>(end) > 0x20) end++;
  return <u32>(end - at);
}

/** Address of the word after the one at `at`, or of the final zero. */
export function nextWord(at: usize): usize {
  return skipBlanks(at + wordBytes(at));
}

/** Address after `prefix` (ASCII) when the text at `at` starts with it, else 0. */
export function afterPrefix(at: usize, prefix: string): usize {
  const length = prefix.length;
  for (let i = 0; i < length; i++) {
    const character: u32 = load<u16>(changetype<usize>(prefix) + ((<usize>i) << 1));
    if (<u32>load<u8>(at + i) != character) return 0;
  }
  return at + length;
}

/** Copies text to `target`, at most `limit` bytes with the final zero. Returns its length without the zero. */
export function copyText(target: usize, text: usize, limit: u32): u32 {
  let length: u32 = 0;
  while (length < limit - 1 && load<u8>(text + length) != 0) {
    store<u8>(target + length, load<u8>(text + length));
    length++;
  }
  store<u8>(target + length, 0);
  return length;
}

/** Copies ASCII `text` without a final zero. Returns the address after it. */
export function putAscii(target: usize, text: string): usize {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    store<u8>(target + i, <u8>load<u16>(changetype<usize>(text) + ((<usize>i) << 1)));
  }
  return target + length;
}
