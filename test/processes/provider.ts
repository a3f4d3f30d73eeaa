/**
 * A service that agents of worker processes call over HTTP: it is up, or down, or does not answer, and knows who called when.
 */
import { once } from "node:events";
import { type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface ProviderCall {
  readonly pid: number;
  readonly run: string;
  /** What it was answered; "gone": its caller did not wait for that. */
  status: number | "gone" | undefined;
}

export class Provider {
  readonly url: string;
  readonly calls: ProviderCall[] = [];
  /** Calls at the same time, at most. */
  most = 0;
  readonly #close: () => Promise<unknown>;
  readonly #held = new Map<ProviderCall, ServerResponse>();
  #mode: "up" | "down" | "silent" = "silent";

  private constructor(url: string, close: () => Promise<unknown>) {
    this.url = url;
    this.#close = close;
  }

  static async make(): Promise<Provider> {
    const server = createServer((request, response) => {
      const [, pid, run] = request.url!.split("/");
      provider.#called({ pid: Number(pid), run: run!, status: undefined }, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const provider: Provider = new Provider(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    });
    return provider;
  }

  #called(call: ProviderCall, response: ServerResponse): void {
    this.calls.push(call);
    this.#held.set(call, response);
    this.most = Math.max(this.most, this.#held.size);
    response.once("close", () => {
      this.#held.delete(call);
      call.status ??= "gone";
    });
    if (this.#mode !== "silent") this.#answer(call, response);
  }

  #answer(call: ProviderCall, response: ServerResponse, status = this.#mode === "up" ? 200 : 503): void {
    call.status = status;
    response.writeHead(call.status, { connection: "close" }).end();
  }

  /** From now on; who waits is answered, too. */
  become(mode: "up" | "down" | "silent"): void {
    this.#mode = mode;
    if (mode === "silent") return;
    for (const [call, response] of this.#held) if (call.status === undefined) this.#answer(call, response);
  }

  /** Those of these calls that are under way are answered that it is down, whatever it is. */
  fail(calls: readonly ProviderCall[]): void {
    for (const call of calls) {
      const response = this.#held.get(call);
      if (response !== undefined && call.status === undefined) this.#answer(call, response, 503);
    }
  }

  /** Calls that nothing was answered to. */
  get open(): ProviderCall[] {
    return [...this.#held.keys()].filter(({ status }) => status === undefined);
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
