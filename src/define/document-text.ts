/**
 * The text of a document, read as YAML, of which JSON is a part: its data, and where each part of it is written.
 * No aliases, no custom tags, a bound on the size.
 */
import { type Document, LineCounter, type Node as YamlNode, type YAMLParseError, isNode, parseDocument } from "yaml";
import { PawlError } from "../errors.ts";
import type { Place } from "./template.ts";

/** A larger document is data, not a definition. */
const DOCUMENT_LENGTH_MAX = 16_777_216;

/** Throws PAWL_DOCUMENT_SYNTAX, PAWL_DUPLICATE_ID (a key twice) and PAWL_VALUE_TOO_LARGE. */
export function readText(text: string, file: string): { readonly data: unknown; readonly place: Place } {
  if (text.length > DOCUMENT_LENGTH_MAX)
    throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the document has ${text.length} characters; ${DOCUMENT_LENGTH_MAX} are allowed` });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, maxAliasCount: 0, strict: true, uniqueKeys: true } as never) as Document;
  const place = placeIn(document, lines, file);
  const [syntax] = document.errors;
  if (syntax !== undefined) throw syntaxError(syntax, text, file);
  return { data: toData(document, place), place };
}

/** `file:line:column` of the nearest part that is written there. */
function placeIn(document: Document, lines: LineCounter, file: string): Place {
  return (path) => {
    for (let length = path.length; length >= 0; length--) {
      const found: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      const offset = isNode(found) ? (found as YamlNode).range?.[0] : undefined;
      if (offset === undefined) continue;
      const { line, col } = lines.linePos(offset);
      return `${file}:${line}:${col}`;
    }
    return file;
  };
}

function syntaxError(error: YAMLParseError, text: string, file: string): PawlError {
  const [start] = error.linePos ?? [];
  const at = start === undefined ? file : `${file}:${start.line}:${start.col}`;
  if (text.slice(error.pos[0] - 1, error.pos[0] + 1) === "${")
    return new PawlError("PAWL_DOCUMENT_SYNTAX", {
      message: "a reference within { } or [ ] is not quoted",
      next: 'put it in quotation marks: { topic: "${input.topic}" }',
      at,
    });
  const [message] = error.message.split(" at line ");
  return new PawlError(error.code === "DUPLICATE_KEY" ? "PAWL_DUPLICATE_ID" : "PAWL_DOCUMENT_SYNTAX", { message: message!, at });
}

function toData(document: Document, place: Place): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw new PawlError("PAWL_DOCUMENT_SYNTAX", { message: "aliases are not allowed", at: place([]), cause: error });
  }
}
