/**
 * Words of the elements by language, and how one is chosen: the strings of the page, the language, the language
 * without its region, English. `{name}` in a text stands for a value.
 */

export type Dictionary = Record<string, string>;
/** By language (`de`, or `de-AT`). A page may add its own. */
export type Words = Record<string, Dictionary>;

export function say(
  words: Words,
  lang: string,
  own: Dictionary,
  key: string,
  values: Record<string, string | number> = {},
): string {
  const base = lang.split("-", 1)[0] ?? lang;
  const text = own[key] ?? words[lang]?.[key] ?? words[base]?.[key] ?? words.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Both, language by language; of the same key the second one. */
export function joined(words: Words, more: Words): Words {
  const languages = [...new Set([...Object.keys(words), ...Object.keys(more)])];
  return Object.fromEntries(languages.map((lang) => [lang, { ...words[lang], ...more[lang] }]));
}
