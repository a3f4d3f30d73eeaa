/**
 * Notices by HTTP: posted as JSON, signed with a secret that sender and receiver share. The signature covers the instant
 * of sending, too, so that what somebody recorded is refused when it comes late.
 */
import { systemClock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import type { RunNotice } from "./notice.ts";

/** Where notices are posted to. */
export interface Webhook {
  readonly url: string;
  /** What the signature is made with; the receiver has the same. At least 16 characters. */
  readonly secret: string;
}

/** Takes a notice; one that throws is given the notice again later. */
export type NoticeReceiver = (notice: RunNotice, options?: { readonly signal?: AbortSignal }) => void | Promise<void>;

/** The header with the signature: `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" in hex>`. */
const SIGNATURE_HEADER = "pawl-signature";

const SECRET_LENGTH_MIN = 16;
const SIGNATURE = /^t=(\d{1,15}),v1=([0-9a-f]{64})$/;

/**
 * A receiver for `open(url, { notify })` that posts each notice to this address; any answer but 2xx, and none within 30 s,
 * means later again. For who does more with a notice than to post it: `notify: { url, secret }` does the same.
 *
 * @example
 * ```ts
 * const hook = webhook({ url: 'https://ops.example/pawl', secret });
 * await using pawl = await open('pawl.db', { notify: async (notice) => { console.error(notice.id); await hook(notice); } });
 * ```
 * @throws PAWL_INVALID_VALUE
 */
export function webhook({ url, secret }: Webhook): NoticeReceiver {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new PawlError("PAWL_INVALID_VALUE", { message: "the url of a webhook is no http or https address" });
  if (typeof secret !== "string" || secret.length < SECRET_LENGTH_MIN)
    throw new PawlError("PAWL_INVALID_VALUE", { message: `the secret of a webhook has fewer than ${SECRET_LENGTH_MIN} characters` });
  return async (notice, { signal } = {}) => {
    const body = JSON.stringify(notice);
    const seconds = Math.floor(systemClock.now() / 1_000);
    const headers = { "content-type": "application/json", "idempotency-key": notice.id, [SIGNATURE_HEADER]: await signature(secret, seconds, body) };
    const response = await fetch(url, { method: "POST", headers, body, redirect: "error", ...(signal !== undefined && { signal }) });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the webhook answered with status ${response.status}`);
  };
}

/** How a notice that was received is checked. */
export interface VerifyOptions {
  /** The body as it came, not parsed and written again. */
  readonly body: string;
  /** The value of the `pawl-signature` header; null when there was none. */
  readonly signature: string | null | undefined;
  readonly secret: string;
  /** How far the sender's instant may be from now, before or after. Default '5m'. */
  readonly tolerance?: Duration;
  /** The receiver's instant, in ms since 1970. Default: now. */
  readonly now?: number;
}

/**
 * The notice that a webhook received, once its signature is checked. One may come again, under the same `id`.
 *
 * @example
 * ```ts
 * const notice = await verifyNotice({ body: await request.text(), signature: request.headers.get('pawl-signature'), secret });
 * ```
 * @throws PAWL_SIGNATURE_INVALID
 */
export async function verifyNotice({ body, signature: given, secret, tolerance = "5m", now = systemClock.now() }: VerifyOptions): Promise<RunNotice> {
  const refused = (message: string): PawlError => new PawlError("PAWL_SIGNATURE_INVALID", { message });
  const [, seconds, hex] = SIGNATURE.exec(given ?? "") ?? [];
  if (seconds === undefined || hex === undefined) throw refused("the notice has no signature");
  const isSigned = await crypto.subtle.verify("HMAC", await keyOf(secret), Buffer.from(hex, "hex"), Buffer.from(`${seconds}.${body}`));
  if (!isSigned) throw refused("the notice was signed with another secret, or is not what was sent");
  if (Math.abs(now - Number(seconds) * 1_000) > durationMs(tolerance, "tolerance", "verifyNotice()")) throw refused("the notice was signed too long ago");
  return JSON.parse(body) as RunNotice;
}

async function signature(secret: string, seconds: number, body: string): Promise<string> {
  const bytes = await crypto.subtle.sign("HMAC", await keyOf(secret), Buffer.from(`${seconds}.${body}`));
  return `t=${seconds},v1=${Buffer.from(bytes).toString("hex")}`;
}

async function keyOf(secret: string): ReturnType<typeof crypto.subtle.importKey> {
  return crypto.subtle.importKey("raw", Buffer.from(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}
