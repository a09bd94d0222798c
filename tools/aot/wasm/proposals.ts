import { CompileError, malformed } from "../errors.ts";

/** Something that WebAssembly has, or may get, and that this compiler does not translate. */
interface Proposal {
  /** That it is not translated, and what to write instead. */
  advice: string;
  /** First bytes of its instructions, and of its types where they are told apart from others. */
  opcodes: readonly number[];
  types: readonly number[];
}

const THROW = 0x08;

const PROPOSALS: readonly Proposal[] = [
  {
    advice: "SIMD is not translated: no vector state is saved on exits; use integers",
    opcodes: [0xfd],
    types: [0x7b],
  },
  {
    advice: "tail calls are not translated: a call keeps its frame; use a loop",
    opcodes: [0x12, 0x13],
    types: [],
  },
  {
    advice: "exceptions are not translated: there is no unwinder; return a status, or panic",
    opcodes: [0x06, 0x07, THROW, 0x09, 0x0a, 0x18, 0x19, 0x1f],
    types: [0x69, 0x74],
  },
  {
    advice:
      "garbage collection is not translated: there is no collector; use @unmanaged classes in static storage",
    opcodes: [0xfb, 0xd3],
    types: [0x4e, 0x4f, 0x50, 0x5e, 0x5f, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e],
  },
  {
    advice: "references are not translated: use integers",
    opcodes: [],
    types: [0x71, 0x72, 0x73],
  },
  {
    advice: "function references are not translated: use call_indirect with an integer index",
    opcodes: [0x14, 0x15, 0xd4, 0xd5, 0xd6],
    types: [0x63, 0x64],
  },
];

function refuse({ advice }: Proposal, what: string, offset: number): CompileError {
  return new CompileError("unsupported", `${what}: ${advice}`, offset);
}

/** The refusal of an instruction that belongs to a proposal; null when it belongs to none. */
export function refusedInstruction(code: number, offset: number): CompileError | null {
  const found = PROPOSALS.find(({ opcodes }) => opcodes.includes(code));
  return found ? refuse(found, `instruction 0x${code.toString(16)}`, offset) : null;
}

/** The same for a type. */
export function refusedType(code: number, offset: number): CompileError | null {
  const found = PROPOSALS.find(({ types }) => types.includes(code));
  return found ? refuse(found, `type 0x${code.toString(16)}`, offset) : null;
}

/** The refusal of a section or import that this level of the language does not have, but exceptions add: tags. */
export function refusedTag(what: string, offset: number): CompileError {
  const { advice } = PROPOSALS.find(({ opcodes }) => opcodes.includes(THROW))!;
  return malformed(`${what} (exception tag): ${advice}`, offset);
}
