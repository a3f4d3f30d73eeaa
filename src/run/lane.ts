/**
 * For whom a run works, and how urgent it is: by this its nodes take turns with those of other runs.
 */
import { checkName } from "../define/name.ts";
import { PawlError } from "../errors.ts";

/** What a run may be started with. */
export interface LaneOptions {
  /** For whom it works, for example a customer: tenants take turns at what is limited, and may have limits of their own. */
  readonly tenant?: string | undefined;
  /**
   * Which of a tenant's runs comes first at what is limited: the greater one; each minute of waiting counts as one more. A
   * whole number from -1000 to 1000. Default 0.
   */
  readonly priority?: number | undefined;
}

export interface Lane {
  readonly tenant?: string | undefined;
  readonly priority: number;
}

export const NO_LANE: Lane = { priority: 0 };

const PRIORITY_MAX = 1_000;

/** undefined when nothing is said. Throws PAWL_INVALID_ID, PAWL_INVALID_VALUE. */
export function laneOf({ tenant, priority = 0 }: LaneOptions): Lane | undefined {
  if (tenant !== undefined) checkName(tenant, "tenant");
  if (!Number.isInteger(priority) || Math.abs(priority) > PRIORITY_MAX)
    throw new PawlError("PAWL_INVALID_VALUE", { message: `priority is ${priority}, but must be a whole number from -${PRIORITY_MAX} to ${PRIORITY_MAX}` });
  return tenant === undefined && priority === 0 ? undefined : { ...(tenant !== undefined && { tenant }), priority };
}
