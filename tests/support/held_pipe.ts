import type { BytePipe } from "../../src/io/mod.ts";

/** A pipe whose writes wait while it is held; `cut` ends it. */
export class HeldPipe implements BytePipe {
  #gate = Promise.withResolvers<void>();
  #isCut = false;

  constructor(readonly inner: BytePipe, held = false) {
    if (!held) this.release();
  }

  hold(): void {
    this.#gate = Promise.withResolvers<void>();
  }

  release(): void {
    this.#gate.resolve();
  }

  cut(): void {
    this.#isCut = true;
    this.inner.close();
    this.release();
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.inner.read(into);
  }

  async write(from: Uint8Array): Promise<number> {
    await this.#gate.promise;
    if (this.#isCut) throw new Deno.errors.ConnectionReset("cut by the test");
    return await this.inner.write(from);
  }

  closeWrite(): Promise<void> {
    return this.inner.closeWrite();
  }

  close(): void {
    this.inner.close();
    this.release();
  }
}
