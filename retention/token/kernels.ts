import type { Kernel } from './kernel.js';
import { nodeKernel } from './kernel.node.js';
import { wasmKernel } from './kernel.wasm.js';

let shared: Kernel | undefined;

/** The kernel of this thread, made when it is first needed: four lanes where the machine has them. */
export function kernel(): Kernel {
  shared ??= wasmKernel() ?? nodeKernel();
  return shared;
}
