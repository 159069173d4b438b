/**
 * What the server refuses, in its reader's words: its sentences, which are English, and for those that are not known a word
 * for their code. Loaded with the catalogue of another language; who reads English reads the server's own.
 */
import { _, known } from "./i18n.js";

/** By the code of a problem (docs/protocol.md). */
const CODES = {
  bad_frame: _("The server does not understand this."),
  unknown_op: _("The server does not understand this."),
  invalid: _("This is not possible like that."),
  too_large: _("This is too large."),
  too_many_members: _("The group has no room for so many members."),
  unauthenticated: _("You are not signed in."),
  not_found: _("There is no such thing, or it is not for you."),
  session_lost: _("The connection was lost. It is made anew."),
  forbidden: _("You may not do that."),
  blocked: _("One of you has blocked the other."),
  not_accepted: _("A rule of the moderators does not let this through."),
  suspended: _("This account is suspended."),
  conflict: _("As things are now, this cannot be done."),
  rate_limited: _("That was too fast. Wait a moment."),
  unavailable: _("The server cannot do this now. Try again in a moment."),
  method_not_allowed: _("The server does not understand this."),
  not_acceptable: _("The server does not understand this."),
  unsupported_media_type: _("The server does not understand this."),
  internal: _("Something went wrong"),
};

/** Sentences of the server that people meet; a test looks for each of them in its sources. */
export const SENTENCES = [
  _("no such message"),
  _("no such conversation"),
  _("no such user"),
  _("no such member"),
  _("no such device"),
  _("no such media"),
  _("no such upload"),
  _("this is no picture"),
  _("no such invitation, or it is over"),
  _("the message is deleted"),
  _("the message is withheld by moderators"),
  _("a reaction is one emoji"),
  _("make another member the owner first"),
  _("the name must be one line of printable characters"),
  _("an empty file cannot be sent"),
  _("you have appealed already"),
  _("say why the message should come back"),
  _("this is your own message; you can delete it"),
  _("you were not let in; you can ask again tomorrow"),
  _("too many people ask to be let in; try again later"),
  _("there is no such day"),
  _("a day is written YYYY-MM-DD"),
  _("before and after are days (2027-01-31) or moments (2027-01-31T09:00:00Z)"),
  _("nothing to search for: type a word, or say from whom, or has:link, has:file, has:image"),
  _("try again in a moment"),
  _("the current password is not right"),
  _("this username is taken"),
];

/** Return a problem, {code, title, detail}, in the reader's words. */
export const said = ({ code, title, detail }) => known(detail) ?? known(CODES[code]) ?? (detail || title);
