/**
 * How a node is tried, in plain numbers, written apart from its machine: which attempts are made, how long is waited between
 * them, and how it ends.
 */

/** What an attempt comes to. `late`: it answers after its timeout, when nobody wants to know. */
export type Outcome =
  | { readonly do: "succeed" }
  | {
      readonly do: "fail";
      readonly kind: "transient" | "resource" | "configuration" | "critical";
      readonly code: string;
      readonly retryAfterMs?: number;
    }
  | { readonly do: "hang" }
  | { readonly do: "late" };

export interface RetryPlan {
  readonly maxAttempts: number;
  readonly initialInterval: number;
  readonly backoffCoefficient: number;
  readonly maxInterval: number;
  readonly jitter: "full" | "none";
  readonly nonRetryable: readonly string[];
  readonly timeout: number;
  /** Of each attempt; those after the last succeed. */
  readonly outcomes: readonly Outcome[];
}

export interface ExpectedAttempt {
  /** From its beginning. */
  readonly takesMs: number;
  /** What is waited between its end and the next attempt; undefined after the last. */
  readonly waitMs: { readonly least: number; readonly most: number } | undefined;
}

export interface Expected {
  readonly attempts: readonly ExpectedAttempt[];
  readonly status: "completed" | "failed";
  /** Of its last failure. */
  readonly code: string | undefined;
}

export const CALL_MS = 100;

export function expectedOf(plan: RetryPlan): Expected {
  const attempts: ExpectedAttempt[] = [];
  let code: string | undefined;
  for (let number = 1; ; number++) {
    const outcome = plan.outcomes[number - 1] ?? { do: "succeed" };
    const takesMs = outcome.do === "succeed" || outcome.do === "fail" ? CALL_MS : plan.timeout;
    if (outcome.do === "succeed") return { attempts: [...attempts, { takesMs, waitMs: undefined }], status: "completed", code };
    const [kind, retryAfterMs] = outcome.do === "fail" ? [outcome.kind, outcome.retryAfterMs ?? 0] : ["timeout", 0];
    code = outcome.do === "fail" ? outcome.code : "PAWL_AGENT_TIMEOUT";
    const helps = kind !== "configuration" && kind !== "critical" && !plan.nonRetryable.includes(code) && !plan.nonRetryable.includes(kind);
    if (!helps || number >= plan.maxAttempts) return { attempts: [...attempts, { takesMs, waitMs: undefined }], status: "failed", code };
    let grown = plan.initialInterval;
    for (let n = 1; n < number; n++) grown *= plan.backoffCoefficient;
    const whole = Math.ceil(Math.min(grown, plan.maxInterval));
    const least = plan.jitter === "full" ? 0 : whole;
    attempts.push({ takesMs, waitMs: { least: Math.max(least, retryAfterMs), most: Math.max(whole, retryAfterMs) } });
  }
}
