/**
 * A provider: a service on this machine that takes a while for an answer, can be down, and counts what reaches it.
 */
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { setTimeout as passes } from "node:timers/promises";

/** A refusal is quick. */
const REFUSAL_MS = 10;

export class Provider {
  isDown = false;
  /** Under way, now and at most. */
  running = 0;
  most = 0;
  answered = 0;
  refused = 0;
  /** Whose caller was gone before the answer. */
  cutOff = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #paceMs: number;

  constructor(paceMs: number) {
    this.#paceMs = paceMs;
  }

  /** Answers its URL. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("it has no port");
    return `http://127.0.0.1:${address.port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get calls(): number {
    return this.answered + this.refused + this.cutOff + this.running;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "GET") return void response.writeHead(this.isDown ? 503 : 200).end();
    const { isDown } = this;
    this.most = Math.max(this.most, ++this.running);
    response.once("close", () => {
      this.running--;
      if (!response.writableFinished) this.cutOff++;
      else if (isDown) this.refused++;
      else this.answered++;
    });
    const chunks = await Array.fromAsync(request.setEncoding("utf8"));
    await passes(isDown ? REFUSAL_MS : this.#paceMs);
    response.writeHead(isDown ? 503 : 200, { "content-type": "application/json" }).end(chunks.join(""));
  }
}
