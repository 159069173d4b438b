/**
 * The page's words in its reader's language (docs/i18n.md). The English text is the key. A page that is not English loads
 * its catalogue before anything else; what that lacks stays English.
 */

/** Letters that run from right to left. */
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u;
/** Which forms a plural has, by how many there are, in the order of the catalogues. */
const FORMS = { 1: ["other"], 2: ["one", "other"], 6: ["zero", "one", "two", "few", "many", "other"] };

const page = globalThis.document?.documentElement;
export const language = page?.lang || "en";
/** Does the page run from right to left? */
export const rtl = page?.dir === "rtl";
let words = {};
let refused = (problem) => problem.detail || problem.title;

/** Return the variety of a language that the reader prefers, as Intl takes it. All write the digits that the server does. */
export function localeFor(tag, preferred) {
  const kind = (one) => {
    try {
      const { language: spoken, script } = new Intl.Locale(one).maximize();
      return spoken + script;
    } catch {
      return null;
    }
  };
  return new Intl.Locale(preferred.find((one) => kind(one) === kind(tag)) ?? tag, { numberingSystem: "latn" }).toString();
}

export const locale = localeFor(language, globalThis.navigator?.languages ?? []);
const plural = new Intl.PluralRules(language);
const conjunction = new Intl.ListFormat(locale, { type: "conjunction" });

/** Take a catalogue, {English: text, or the forms of a plural}; `said(problem)` puts the server's refusals into its words. */
export function learn(catalogue, said) {
  words = catalogue;
  refused = said;
}

/** Return the reader's words for a text that may not be in the catalogue, or undefined. */
export const known = (text) => words[text];

// What somebody wrote, a name say, must not turn the words around it.
const apart = (text) => (rtl || RTL.test(text) ? `\u2068${text}\u2069` : text);
const shown = (value) => (typeof value === "number" ? value.toLocaleString(locale) : apart(String(value)));
const fill = (text, values) => (values ? text.replace(/\{(\w+)\}/gu, (_whole, name) => shown(values[name])) : text);

/** Return a text in the reader's language; `{name}` in it is what `values` has by that name. */
export const _ = (text, values) => fill(words[text] ?? text, values);

/** The same of a text with a number, `{count}`: `one` of one, `many` of several. */
export function n(one, many, count, values) {
  const forms = words[one] ?? [one, many];
  const at = FORMS[forms.length].indexOf(plural.select(count));
  return fill(forms.at(at), { count, ...values });
}

/** "@ann", and not "ann@" among words that run the other way. */
export const handle = (name) => (rtl ? `\u2066@${name}\u2069` : `@${name}`);

/** "Ann, Bob, and Cleo". */
export const listed = (names) => conjunction.format(names);

/** What the server said to a refused request, {code, title, detail}, for who made it. */
export const refusal = (problem) => refused(problem);
