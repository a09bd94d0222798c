// The processor that kernel modules meet under Node: one JavaScript function for each import of kernel/arch/intrinsics.ts.
// Physical memory is a sparse map of 4 KiB pages; MSRs, CPUID, ports and VMCS fields are maps a test fills and inspects.
import { VMCS_ENCODINGS } from "./vmcs-encodings.ts";

const PAGE = 4096n;

const VMCS_FIELDS = new Set(Object.values(VMCS_ENCODINGS));
/** Field type of read-only data, and widths in bits by width code. */
const VMCS_READ_ONLY = 1;
const VMCS_WIDTHS = [16, 64, 32, 64];

const hex = (value: number) => (value >>> 0).toString(16);

/** Thrown where the real processor would stop: a halt with interrupts off, or a fault in the hypervisor. */
export class CpuStopped extends Error {}

/** Instructions without a model: caches, translations, interrupts, VMX and SVM state, extended state. */
const RECORDED = [
  ...["pause", "mfence", "wbinvd", "invlpg", "phys_clflush"],
  ...["cli", "sti", "sti_hlt_cli", "sti_nop_cli", "stgi", "clgi", "run_nmi_handler"],
  ...["vmxon", "vmxoff", "vmclear", "vmptrld", "invept", "invvpid", "vmsave", "vmload", "invlpga"],
  ...["phys_xsave", "phys_xrstor", "phys_fxsave", "phys_fxrstor"],
];

export class FakeCpu {
  readonly pages = new Map<bigint, DataView>();
  readonly msrs = new Map<number, bigint>();
  readonly cpuidLeaves = new Map<string, [number, number, number, number]>();
  readonly vmcs = new Map<number, bigint>();
  /** VMWRITEs executed: what an entry costs. */
  vmcsWrites = 0;
  readonly controlRegisters = new Map<string, bigint>();
  readonly extendedControl = new Map<number, bigint>();
  /** MM0..7 (8 bytes each) and YMM0..15 (32, XMM in the low half). */
  readonly mmx = new Uint8Array(8 * 8);
  readonly ymm = new Uint8Array(16 * 32);
  /** An unmasked x87 exception waits. */
  x87Pending = false;
  pkru = 0;
  /** Every port access in order, as `out8 3f8 41`. */
  readonly portLog: string[] = [];
  /** Intrinsics that have no model of their own, in call order with their arguments. */
  readonly calls: { name: string; args: (number | bigint)[] }[] = [];
  tsc = 0n;
  /** TSC ticks added by each RDTSC. */
  tscStep = 1n;
  perCpu = 0;
  bootLayout = 0n;
  portIn: (port: number, size: number) => number = () => 0xffffffff;
  portOut: (port: number, size: number, value: number) => void = () => {};
  /** Called by `vmx_enter` and `svm_enter`: plays the guest until its exit. `launched` is VT-x's: 0 = VMLAUNCH. */
  enter: (registers: number, memory: DataView, launched: number) => number = () => {
    throw new CpuStopped("no guest: set cpu.enter");
  };
  private memory!: DataView;

  attach(memory: WebAssembly.Memory): void {
    this.memory = new DataView(memory.buffer);
  }

  /** The page of physical memory that holds `address`, created zeroed. */
  page(address: bigint): DataView {
    const number = address / PAGE;
    let page = this.pages.get(number);
    if (page === undefined) this.pages.set(number, (page = new DataView(new ArrayBuffer(4096))));
    return page;
  }

  load(address: bigint, bytes: number): bigint {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) {
      const at = BigInt.asUintN(64, address) + BigInt(i);
      value = (value << 8n) | BigInt(this.page(at).getUint8(Number(at % PAGE)));
    }
    return value;
  }

  store(address: bigint, bytes: number, value: bigint): void {
    for (let i = 0; i < bytes; i++) {
      const at = BigInt.asUintN(64, address) + BigInt(i);
      this.page(at).setUint8(Number(at % PAGE), Number((value >> BigInt(8 * i)) & 0xffn));
    }
  }

  /** Writes bytes to physical memory. */
  poke(address: bigint, bytes: Uint8Array): void {
    bytes.forEach((byte, i) => this.store(address + BigInt(i), 1, BigInt(byte)));
  }

  /** Reads bytes of physical memory. */
  peek(address: bigint, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, i) => Number(this.load(address + BigInt(i), 1)));
  }

  /**
   * The import object's "intrinsics" part: models, and what is only recorded. Calling any other is an error, so that no test
   * passes because an instruction that it is about does nothing.
   */
  imports(): WebAssembly.ModuleImports {
    const known: WebAssembly.ModuleImports = {
      ...this.recorded(),
      ...this.processor(),
      ...this.ports(),
      ...this.physical(),
      ...this.arithmetic(),
      ...this.vectors(),
      ...this.virtualization(),
    };
    return new Proxy(known, {
      get: (table, name: string) =>
        table[name] ?? (() => this.fault(`there is no model of intrinsic ${name}`)),
    });
  }

  /** Instructions whose only effect here is to be in `calls`; VMX instructions succeed. */
  private recorded(): WebAssembly.ModuleImports {
    const record = (name: string) => [
      name,
      (...args: (number | bigint)[]) => {
        this.calls.push({ name, args });
        return 0;
      },
    ];
    return Object.fromEntries(RECORDED.map(record));
  }

  private processor(): WebAssembly.ModuleImports {
    const readMsr = (msr: number) => this.msrs.get(msr >>> 0);
    return {
      rdmsr: (msr: number) => readMsr(msr) ?? this.fault(`RDMSR ${(msr >>> 0).toString(16)}`),
      wrmsr: (msr: number, value: bigint) => void this.msrs.set(msr >>> 0, BigInt.asUintN(64, value)),
      rdmsr_safe: (msr: number, result: number) => {
        const value = readMsr(msr);
        if (value !== undefined) this.memory.setBigUint64(result >>> 0, value, true);
        return value === undefined ? 0 : 1;
      },
      wrmsr_safe: (msr: number, value: bigint) => {
        if (!this.msrs.has(msr >>> 0)) return 0;
        this.msrs.set(msr >>> 0, BigInt.asUintN(64, value));
        return 1;
      },
      cpuid: (leaf: number, subleaf: number, result: number) => {
        const key = (l: number, s: number) => `${(l >>> 0).toString(16)}:${s >>> 0}`;
        const regs = this.cpuidLeaves.get(key(leaf, subleaf)) ??
          this.cpuidLeaves.get(key(leaf, 0)) ?? [0, 0, 0, 0];
        regs.forEach((value, i) => this.memory.setUint32((result >>> 0) + 4 * i, value, true));
      },
      rdtsc: () => (this.tsc += this.tscStep),
      ...Object.fromEntries(
        ["cr0", "cr2", "cr3", "cr4", "cr8", "dr0", "dr1", "dr2", "dr3", "dr6", "dr7"].flatMap((name) => [
          [`read_${name}`, () => this.controlRegisters.get(name) ?? 0n],
          [
            `write_${name}`,
            (value: bigint) => void this.controlRegisters.set(name, BigInt.asUintN(64, value)),
          ],
        ]),
      ),
      xgetbv: (index: number) => this.extendedControl.get(index) ?? 0n,
      xsetbv: (index: number, value: bigint) =>
        void this.extendedControl.set(index, BigInt.asUintN(64, value)),
      cpu_base: () => this.perCpu,
      boot_layout: () => this.bootLayout,
      read_rflags: () => 2n,
      read_rsp: () => 0n,
      read_rip: () => 0n,
      peek64: () => 0n,
      halt_forever: () => this.fault("halt_forever"),
    };
  }

  private ports(): WebAssembly.ModuleImports {
    const table: WebAssembly.ModuleImports = {};
    for (const bits of [8, 16, 32]) {
      table[`in${bits}`] = (port: number) => {
        const value = (this.portIn(port & 0xffff, bits / 8) & (2 ** bits - 1)) >>> 0;
        this.portLog.push(`in${bits} ${(port & 0xffff).toString(16)} ${value.toString(16)}`);
        return value;
      };
      table[`out${bits}`] = (port: number, value: number) => {
        const written = (value & (2 ** bits - 1)) >>> 0;
        this.portLog.push(`out${bits} ${(port & 0xffff).toString(16)} ${written.toString(16)}`);
        this.portOut(port & 0xffff, bits / 8, written);
      };
    }
    return table;
  }

  private physical(): WebAssembly.ModuleImports {
    const table: WebAssembly.ModuleImports = {};
    for (const bits of [8, 16, 32]) {
      table[`phys_load${bits}`] = (hpa: bigint) => Number(this.load(hpa, bits / 8)) | 0;
      table[`phys_store${bits}`] = (hpa: bigint, value: number) =>
        this.store(hpa, bits / 8, BigInt(value >>> 0));
      table[`phys_cmpxchg${bits}`] = (hpa: bigint, expected: number, desired: number) => {
        const held = this.load(hpa, bits / 8);
        if (held === BigInt.asUintN(bits, BigInt(expected))) this.store(hpa, bits / 8, BigInt(desired >>> 0));
        return Number(held) | 0;
      };
    }
    const bytes = (address: number, length: bigint) =>
      new Uint8Array(this.memory.buffer, address >>> 0, Number(length));
    return Object.assign(table, {
      phys_load64: (hpa: bigint) => this.load(hpa, 8),
      phys_store64: (hpa: bigint, value: bigint) => this.store(hpa, 8, BigInt.asUintN(64, value)),
      phys_cmpxchg64: (hpa: bigint, expected: bigint, desired: bigint) => {
        const held = this.load(hpa, 8);
        if (held === BigInt.asUintN(64, expected)) this.store(hpa, 8, BigInt.asUintN(64, desired));
        return held;
      },
      phys_read: (to: number, hpa: bigint, length: bigint) =>
        bytes(to, length).set(this.peek(hpa, Number(length))),
      phys_write: (hpa: bigint, from: number, length: bigint) => this.poke(hpa, bytes(from, length)),
      phys_copy: (to: bigint, from: bigint, length: bigint) => this.poke(to, this.peek(from, Number(length))),
      phys_fill: (hpa: bigint, value: number, length: bigint) =>
        this.poke(hpa, new Uint8Array(Number(length)).fill(value)),
    });
  }

  private arithmetic(): WebAssembly.ModuleImports {
    const unsigned = (value: bigint) => BigInt.asUintN(64, value);
    return {
      mul_high: (a: bigint, b: bigint) => (unsigned(a) * unsigned(b)) >> 64n,
      mul_shift32: (a: bigint, b: bigint) => unsigned((unsigned(a) * unsigned(b)) >> 32n),
      div_wide: (high: bigint, low: bigint, divisor: bigint) => {
        const quotient = divisor === 0n ? -1n : ((unsigned(high) << 64n) | unsigned(low)) / unsigned(divisor);
        return quotient < 0n || quotient >> 64n ? this.fault("#DE in div_wide") : quotient;
      },
    };
  }

  private vectors(): WebAssembly.ModuleImports {
    const linear = (address: number, length: number) =>
      new Uint8Array(this.memory.buffer, address >>> 0, length);
    const register = (n: number, bytes: number) =>
      bytes === 8 ? this.mmx.subarray(8 * n, 8 * n + 8) : this.ymm.subarray(32 * n, 32 * n + bytes);
    return {
      simd_read: (n: number, target: number, bytes: number) => {
        if (bytes === 8 && this.x87Pending) return 0;
        linear(target, bytes).set(register(n, bytes));
        return 1;
      },
      simd_write: (n: number, source: number, bytes: number) => {
        if (bytes === 8 && this.x87Pending) return 0;
        register(n, bytes).set(linear(source, bytes));
        return 1;
      },
      rdpkru: () => this.pkru | 0,
    };
  }

  private virtualization(): WebAssembly.ModuleImports {
    return {
      vmread: (field: number) => this.vmcsRead(field >>> 0) ?? this.fault(`vmread failed: ${hex(field)}`),
      vmwrite: (field: number, value: bigint) => {
        if (!this.vmcsWrite(field >>> 0, value)) this.fault(`vmwrite failed: ${hex(field)}`);
      },
      vmwrite_status: (field: number, value: bigint) => (this.vmcsWrite(field >>> 0, value) ? 0 : 2),
      vmread_status: (field: number, result: number) => {
        const value = this.vmcsRead(field >>> 0);
        if (value !== undefined) this.memory.setBigUint64(result >>> 0, value, true);
        return value === undefined ? 2 : 0;
      },
      vmx_enter: (registers: number, launched: number) => this.enter(registers, this.memory, launched),
      svm_enter: (registers: number) => {
        this.enter(registers, this.memory, 1);
        return registers;
      },
    };
  }

  /** A field of the current VMCS: 0 until written; undefined when the processor has no such field. */
  private vmcsRead(field: number): bigint | undefined {
    return VMCS_FIELDS.has(field) ? (this.vmcs.get(field) ?? 0n) : undefined;
  }

  /** Stores as many bits as the field has. False: no such field, or it is read-only. */
  private vmcsWrite(field: number, value: bigint): boolean {
    if (!VMCS_FIELDS.has(field) || ((field >> 10) & 3) === VMCS_READ_ONLY) return false;
    this.vmcs.set(field, BigInt.asUintN(VMCS_WIDTHS[(field >> 13) & 3]!, value));
    this.vmcsWrites++;
    return true;
  }

  private fault(what: string): never {
    throw new CpuStopped(what);
  }
}
