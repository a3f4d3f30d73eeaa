/**
 * The process's environment, read here and nowhere else.
 */

/** The value of an environment variable; an empty one counts as not set. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name] || undefined;
}
