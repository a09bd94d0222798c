// The dynamic part of a task as its task-state segment holds it, read once before anything of the processor's state changes.

@unmanaged
export class TaskState {
  ip: u64;
  flags: u64;
  /** CR3; only in 32-bit task-state segments. */
  cr3: u64;
  /** Selector of its LDT. */
  local: u32;
  /** T flag: #DB before its first instruction. */
  trap: u32;

  /** EAX, ECX … EDI (0..7). In memory they follow the fields above. */
  register(index: u32): u64 {
    return load<u64>(changetype<usize>(this) + REGISTERS + ((<usize>index & 7) << 3));
  }
  setRegister(index: u32, value: u64): void {
    store<u64>(changetype<usize>(this) + REGISTERS + ((<usize>index & 7) << 3), value);
  }

  /** ES … GS (SEG_*); null where the segment has none. */
  selector(index: u32): u32 {
    assert(index < SELECTORS, "task: no such segment register");
    return load<u32>(changetype<usize>(this) + SELECTORS_OFFSET + ((<usize>index) << 2));
  }
  setSelector(index: u32, value: u32): void {
    assert(index < SELECTORS, "task: no such segment register");
    store<u32>(changetype<usize>(this) + SELECTORS_OFFSET + ((<usize>index) << 2), value);
  }
}

const SELECTORS: u32 = 6;
const REGISTERS: usize = offsetof<TaskState>();
const SELECTORS_OFFSET: usize = REGISTERS + 8 * 8;

/** Bytes of a TaskState with its registers and selectors. */
export const TASK_STATE_BYTES: usize = SELECTORS_OFFSET + 8 * 4;
