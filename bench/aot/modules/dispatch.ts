// The shape of a hypervisor's exit path: a record is decoded, a handler chosen by reason, device state read and written,
// counters and a histogram kept.
@unmanaged
class Exit {
  reason: u32;
  length: u32;
  qualification: u64;
  gpa: u64;
  tsc: u64;
}
@unmanaged
class Vcpu {
  rax: u64;
  rbx: u64;
  rcx: u64;
  rdx: u64;
  rip: u64;
  rflags: u64;
  cr0: u64;
  cr4: u64;
  tscOffset: u64;
}
@unmanaged
class Serial {
  ier: u8;
  iir: u8;
  lcr: u8;
  mcr: u8;
  lsr: u8;
  msr: u8;
  scr: u8;
  divisor: u16;
  sent: u32;
}
@unmanaged
class Counter {
  count: u64;
  total: u64;
  min: u64;
  max: u64;
}

const EXIT = changetype<Exit>(0x90000);
const VCPU = changetype<Vcpu>(0x90100);
const UART = changetype<Serial>(0x90200);
const COUNTERS: usize = 0x91000;
const HISTOGRAM: usize = 0x92000;
const LEAVES: usize = 0x93000;
let injected: u32 = 0;
let faults: u32 = 0;

function cpuid(v: Vcpu): void {
  const leaf = <u32>v.rax;
  let at: usize = 0;
  if (leaf <= 0x10) at = LEAVES + ((<usize>leaf) << 4);
  else if (leaf >= 0x80000000 && leaf <= 0x80000008) at = LEAVES + 0x200 + ((<usize>(leaf & 0xf)) << 4);
  else {
    v.rax = 0;
    v.rbx = 0;
    v.rcx = 0;
    v.rdx = 0;
    return;
  }
  v.rax = load<u32>(at);
  v.rbx = load<u32>(at, 4);
  v.rcx = load<u32>(at, 8);
  v.rdx = load<u32>(at, 12);
}

function uartRead(u: Serial, offset: u32): u32 {
  const dlab = (u.lcr & 0x80) != 0;
  switch (offset) {
    case 0:
      return dlab ? <u32>(u.divisor & 0xff) : 0;
    case 1:
      return dlab ? <u32>(u.divisor >> 8) : u.ier;
    case 2:
      return u.iir;
    case 3:
      return u.lcr;
    case 4:
      return u.mcr;
    case 5:
      return u.lsr | 0x60;
    case 6:
      return u.msr;
    case 7:
      return u.scr;
    default:
      return 0xff;
  }
}

function uartWrite(u: Serial, offset: u32, value: u32): void {
  const dlab = (u.lcr & 0x80) != 0;
  switch (offset) {
    case 0:
      if (dlab) u.divisor = <u16>((u.divisor & 0xff00) | (value & 0xff));
      else u.sent++;
      break;
    case 1:
      if (dlab) u.divisor = <u16>((u.divisor & 0xff) | (value << 8));
      else u.ier = <u8>(value & 15);
      break;
    case 3:
      u.lcr = <u8>value;
      break;
    case 4:
      u.mcr = <u8>(value & 0x1f);
      break;
    case 7:
      u.scr = <u8>value;
      break;
    default:
      break;
  }
}

function port(v: Vcpu, e: Exit): bool {
  const number = <u32>(e.qualification >> 16) & 0xffff;
  const isIn = (e.qualification & 8) != 0;
  if (number - 0x3f8 < 8) {
    if (isIn) v.rax = (v.rax & ~0xff) | uartRead(UART, number - 0x3f8);
    else uartWrite(UART, number - 0x3f8, <u32>v.rax & 0xff);
    return true;
  }
  if (isIn) v.rax |= 0xff;
  return number == 0x80 || number == 0x61;
}

function readMsr(v: Vcpu): bool {
  let value: u64 = 0;
  switch (<u32>v.rcx) {
    case 0x10:
      value = EXIT.tsc + v.tscOffset;
      break;
    case 0x1b:
      value = 0xfee00900;
      break;
    case 0x174:
    case 0x175:
    case 0x176:
      value = 0;
      break;
    case 0x277:
      value = 0x0007040600070406;
      break;
    case 0xc0000080:
      value = 0xd01;
      break;
    default:
      return false;
  }
  v.rax = value & 0xffffffff;
  v.rdx = value >> 32;
  return true;
}

function controlRegister(v: Vcpu, e: Exit): bool {
  const number = <u32>e.qualification & 15;
  const value = v.rbx;
  if (number == 0) {
    if (value & 0x80000000 && !(value & 1)) return false;
    v.cr0 = value | 0x20;
    return true;
  }
  if (number == 4) {
    v.cr4 = value & 0x7fffff;
    return true;
  }
  return number == 3;
}

function handle(v: Vcpu, e: Exit): bool {
  switch (e.reason) {
    case 10:
      cpuid(v);
      return true;
    case 12:
      injected++;
      return true;
    case 28:
      return controlRegister(v, e);
    case 30:
      return port(v, e);
    case 31:
      return readMsr(v);
    case 32:
      return <u32>v.rcx != 0xc0000080;
    case 48:
      faults++;
      return e.gpa < 0x40000000;
    case 52:
      injected += 2;
      return true;
    default:
      return false;
  }
}

function account(reason: u32, cycles: u64): void {
  const c = changetype<Counter>(COUNTERS + <usize>reason * offsetof<Counter>());
  c.count++;
  c.total += cycles;
  if (cycles < c.min) c.min = cycles;
  if (cycles > c.max) c.max = cycles;
  const bucket = 63 - <u32>clz<u64>(cycles | 1);
  const h = HISTOGRAM + ((<usize>bucket) << 2);
  store<u32>(h, load<u32>(h) + 1);
}

const REASONS: StaticArray<u8> = [10, 30, 30, 31, 48, 12, 28, 32, 52, 10, 30, 48, 1, 31, 30, 10];

export function run(n: i32): u64 {
  let seed: u64 = 88172645463325252;
  let acc: u64 = 0;
  for (let i: usize = 0; i < 0x400; i += 4) store<u32>(LEAVES + i, <u32>i * 2654435761);
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < 50000; i++) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      const e = EXIT;
      const v = VCPU;
      e.reason = unchecked(REASONS[<u32>seed & 15]);
      e.qualification = ((0x3f8 + ((seed >> 8) & 15)) << 16) | ((seed >> 20) & 8);
      e.gpa = (seed >> 12) & 0x7fffffff;
      e.tsc = <u64>i;
      e.length = 2;
      v.rax = (seed >> 16) & 0x1f;
      v.rcx = seed & 1 ? 0x10 : 0xc0000080;
      v.rbx = seed;
      if (handle(v, e)) {
        v.rip += e.length;
        acc += v.rax;
      } else acc ^= v.rip;
      account(e.reason, seed & 0xfffff);
    }
  }
  return acc + UART.sent + injected + faults + load<u64>(COUNTERS + 30 * offsetof<Counter>());
}
