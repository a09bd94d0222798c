const BYTES_PER_LINE = 32;

/** Bytes as NASM lines; runs of zeros are written as one directive. */
export function dataLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; ) {
    let zeros = i;
    while (zeros < bytes.length && bytes[zeros] === 0) zeros++;
    if (zeros - i >= BYTES_PER_LINE) {
      lines.push(`  times ${zeros - i} db 0`);
      i = zeros;
      continue;
    }
    const end = Math.min(i + BYTES_PER_LINE, bytes.length);
    lines.push(`  db ${[...bytes.subarray(i, end)].join(",")}`);
    i = end;
  }
  return lines;
}
