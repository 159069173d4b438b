/** The emoji that one reacts with: the usual ones in a row, and more in a grid. */
import { _ } from "./i18n.js";

export const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

/** With their names, for screen readers and the tooltip. */
export const MORE = [
  ["👍", _("Thumbs up")], ["👎", _("Thumbs down")], ["❤️", _("Heart")], ["🔥", _("Fire")], ["🎉", _("Party")], ["👏", _("Clapping")], ["🙏", _("Thank you")], ["💯", _("Hundred")],
  ["😀", _("Grinning")], ["😂", _("Tears of joy")], ["🤣", _("Rolling with laughter")], ["😊", _("Smiling")], ["😍", _("Heart eyes")], ["😘", _("Kiss")], ["😎", _("Sunglasses")], ["🤩", _("Star-struck")],
  ["🤔", _("Thinking")], ["😮", _("Surprised")], ["😅", _("Sweat smile")], ["🙃", _("Upside down")], ["😉", _("Wink")], ["😴", _("Sleeping")], ["🥳", _("Celebrating")], ["🤯", _("Mind blown")],
  ["😢", _("Sad")], ["😭", _("Crying")], ["😡", _("Angry")], ["🤢", _("Sick")], ["🙄", _("Eye roll")], ["😬", _("Grimacing")], ["🤷", _("Shrug")], ["🤦", _("Face palm")],
  ["👌", _("OK")], ["✌️", _("Peace")], ["🤞", _("Fingers crossed")], ["💪", _("Strong")], ["🙌", _("Raised hands")], ["🤝", _("Handshake")], ["👀", _("Eyes")], ["🫶", _("Heart hands")],
  ["✅", _("Done")], ["❌", _("Cross")], ["❓", _("Question")], ["⭐", _("Star")], ["🚀", _("Rocket")], ["💡", _("Idea")], ["☕", _("Coffee")], ["🍕", _("Pizza")],
];

const NAMES = new Map([...MORE]);

/** Return what an emoji is called, or the emoji itself. */
export const nameOfEmoji = (emoji) => NAMES.get(emoji) ?? emoji;
