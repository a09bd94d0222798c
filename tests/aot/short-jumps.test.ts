import { describe, expect, it } from "vitest";
import { shortenJumps } from "../../tools/aot/x64/short-jumps.ts";

const jumpOver = (line: string, count: number) =>
  shortenJumps(["  jne .end", ...Array<string>(count).fill(line), ".end:"])[0];

describe("short jumps", () => {
  it("reach what is surely near", () => {
    expect(jumpOver("  mov eax, ecx", 20)).toBe("  jne short .end");
    expect(jumpOver("  mov qword [rax+rcx*8+4096], 0x12345678", 8)).toBe("  jne short .end");
    expect(jumpOver("; a comment", 1000)).toBe("  jne short .end");
  });

  it("are not used where the distance may be larger", () => {
    expect(jumpOver("  mov eax, ecx", 64)).toBe("  jne .end");
    expect(jumpOver("  mov rax, 0x123456789abcdef0", 13)).toBe("  jne .end");
    expect(jumpOver("  times 4 nop", 1)).toBe("  jne .end");
    expect(jumpOver("  align 256", 1)).toBe("  jne .end");
  });

  it("leave jumps back to the assembler, which knows the distance", () => {
    expect(shortenJumps([".top:", "  jne .top"])).toEqual([".top:", "  jne .top"]);
  });

  it("bring other targets into reach", () => {
    const inner = Array.from({ length: 25 }, () => "  jae .end");
    expect(shortenJumps(["  jne .end", ...inner, ".end:"])[0]).toBe("  jne short .end");
  });
});
