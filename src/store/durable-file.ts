/**
 * Files that are there whole or not at all: written beside their place, forced to the disk, then renamed into it.
 */
import { closeSync, fsyncSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";

/** Puts a finished file, on the same file system, into its place. After a crash the place holds what it held, or this. */
export function putInPlace(file: string, place: string): void {
  forceToDisk(file);
  renameSync(file, place);
  forceToDisk(dirname(place));
}

/** A file's content, or the names in a folder. */
export function forceToDisk(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
