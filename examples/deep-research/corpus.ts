/**
 * A library of seven notes, and how it is searched: what would be the web.
 */
export const notes: ReadonlyMap<string, string> = new Map([
  ["ratchet", "A ratchet is a wheel with slanted teeth that turns one way only. Without a pawl it would slip back as easily as any wheel."],
  ["pawl", "A pawl is a small lever that drops into the teeth and keeps the wheel from slipping back. A spring, or its own weight, presses it on."],
  ["winch", "The winch is a tool that lifts a load turn by turn. Its pawl holds the drum while the hand rests."],
  ["wrench", "A socket wrench is a tool with a ratchet in its head. It turns the bolt on the way there, and clicks freely on the way back."],
  ["cable tie", "A cable tie has teeth on its tail and a tiny pawl in its head. Pulled tight once, it does not open again."],
  ["backlash", "How far it can slip is a matter of the teeth: by up to one tooth, until the pawl catches. Finer teeth make that shorter."],
  ["two pawls", "Two pawls that are half a tooth out of step halve how far it can slip. Such a wheel catches twice as often."],
]);

/** Titles of the two notes that share the most words with the question. */
export function search(question: string): string[] {
  const wanted = words(question);
  const shared = (title: string): number => [...words(`${title} ${notes.get(title)}`)].filter((word) => wanted.has(word)).length;
  return [...notes.keys()].toSorted((a, b) => shared(b) - shared(a)).slice(0, 2);
}

function words(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[a-z]{3,}/g));
}
