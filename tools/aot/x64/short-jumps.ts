// Forward jumps of two bytes. NASM finds them itself only by assembling the whole file again and again, so the code
// generator says `short` wherever an upper bound of the bytes in between proves that the distance fits.

/** Reach of a jump with an 8-bit displacement. */
const REACH = 127;
const SHORT_BYTES = 2;
const JUMP_BYTES = 5;
const BRANCH_BYTES = 6;
/** No instruction is longer. (Intel SDM, "Instruction Format") */
const MAX_BYTES = 15;
/** Shortened jumps bring other targets into reach. */
const ROUNDS = 3;

const LABEL = /^\s*([\w.$@]+):$/;
const JUMP = /^\s*(j\w+) (\.\w+)$/;
const ALIGN = /^\s*align (\d+)$/;
const DATA = /^\s*(times|d[bwdq]|incbin|res[bwdq])\b/;

/** Marks the jumps of one function whose targets are surely near. */
export function shortenJumps(text: readonly string[]): string[] {
  const result = [...text];
  const target = new Map<string, number>();
  result.forEach((line, i) => {
    const label = LABEL.exec(line)?.[1];
    if (label) target.set(label, i);
  });
  for (let round = 0; round < ROUNDS; round++) {
    const offsets = upperOffsets(result);
    result.forEach((line, i) => {
      const jump = JUMP.exec(line);
      const to = jump ? target.get(jump[2]!) : undefined;
      if (to === undefined || to <= i) return;
      if (offsets[to]! - offsets[i + 1]! <= REACH) result[i] = `  ${jump![1]} short ${jump![2]}`;
    });
  }
  return result;
}

/** Where each line ends up at most, relative to the first: differences are upper bounds of distances. */
function upperOffsets(text: readonly string[]): number[] {
  const offsets = [0];
  for (const line of text) offsets.push(offsets.at(-1)! + upperSize(line));
  return offsets;
}

/** An upper bound of the bytes that a line takes. */
function upperSize(line: string): number {
  const text = line.trim();
  if (!text || text.startsWith(";") || text.startsWith("%") || LABEL.test(line)) return 0;
  const align = ALIGN.exec(line);
  if (align) return Number(align[1]) - 1;
  if (DATA.test(line)) return Number.POSITIVE_INFINITY;
  if (/^j\w+ short /.test(text)) return SHORT_BYTES;
  const jump = JUMP.exec(line);
  if (jump) return jump[1] === "jmp" ? JUMP_BYTES : BRANCH_BYTES;
  if (text === "ret") return 1;
  if (text === "ud2" || /^(push|pop) r\w+$/.test(text)) return 2;
  if (/^call \w+$/.test(text)) return 5;
  return Math.min(MAX_BYTES, instructionBytes(text));
}

/** Instructions whose opcode is one byte; all others are taken to have four with their mandatory prefix. */
const ONE_BYTE =
  /^(mov|lea|add|sub|and|or|xor|adc|cmp|test|inc|dec|neg|not|sh[lr]|sar|ro[lr]|xchg|movsxd|call|jmp)$/;
/** Of these there is no form with a sign-extended 8-bit constant. */
const FULL_IMMEDIATE = /^(mov|test)$/;

function instructionBytes(text: string): number {
  const [, name, rest = ""] = /^(?:lock )?(\w+)(?: (.*))?$/.exec(text) ?? [];
  if (!name) return MAX_BYTES;
  const prefixes =
    (/^lock /.test(text) ? 1 : 0) + (/\bword\b|\b([abcd]x|[sd]i|[sb]p|r\d+w)\b/.test(rest) ? 1 : 0);
  const opcode = ONE_BYTE.test(name) ? 1 : 4;
  const place = /\[([^\]]*)\]/.exec(rest);
  return 1 + prefixes + opcode + 1 + (place ? placeBytes(place[1]!) : 0) + immediateBytes(name, rest);
}

/** SIB byte, displacement and prefixes of a memory operand. */
function placeBytes(place: string): number {
  const prefixes = (/^[fg]s:/.test(place) ? 1 : 0) + (/\b(e[abcdsi]\w|r\d+d)\b/.test(place) ? 1 : 0);
  const body = place.replace(/^[fg]s:/, "");
  const plain = /^(r\w+)(\+r\w+(\*\d)?)?([+-]\d+)?$/.exec(body);
  if (!plain) return prefixes + 1 + 4;
  const displacement = Number(plain[4] ?? 0);
  return prefixes + 1 + (displacement >= -128 && displacement <= 127 ? 1 : 4);
}

function immediateBytes(name: string, operands: string): number {
  const last = /(?:^|, )(-?(?:0x[0-9a-f]+|\d+))$/.exec(operands)?.[1];
  if (last === undefined) return /(?:^|, )[a-z_]\w{4,}$/.test(operands) ? 8 : 0;
  const value = last.startsWith("-") ? -BigInt(last.slice(1)) : BigInt(last);
  if (value >= -128n && value <= 127n && !FULL_IMMEDIATE.test(name)) return 1;
  return value >= -0x8000_0000n && value <= 0xffff_ffffn ? 4 : 8;
}
