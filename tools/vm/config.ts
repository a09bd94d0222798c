// One virtual machine, as the command line and the VM file describe it.

export interface VmConfig {
  /** What messages call it. */
  name: string;
  /** Path of a bzImage, PVH ELF or multiboot ELF32. */
  kernel: string;
  /** Path of the initrd, or of a multiboot kernel's only module. */
  initrd?: string;
  /** The kernel's command line. */
  bootArgs: string;
  /** Guest memory, bytes; a multiple of 1 MiB. */
  memoryBytes: number;
  /** Virtual CPUs. */
  cpus: number;
  /** Whether a reset by the guest starts it again; else it ends the VM. */
  restart: boolean;
  /** Whether it has QEMU's pc-testdev, which kernels that test virtual machines want. */
  testdev?: boolean;
  /** I/O port at which the guest may end its VM with a status (QEMU's isa-debug-exit); absent: none. */
  debugExitPort?: number;
}
