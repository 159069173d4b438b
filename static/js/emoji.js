/** The emoji that one reacts with: the usual ones in a row, and more in a grid. */
export const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

/** With their names, for screen readers and the tooltip. */
export const MORE = [
  ["👍", "Thumbs up"], ["👎", "Thumbs down"], ["❤️", "Heart"], ["🔥", "Fire"], ["🎉", "Party"], ["👏", "Clapping"], ["🙏", "Thank you"], ["💯", "Hundred"],
  ["😀", "Grinning"], ["😂", "Tears of joy"], ["🤣", "Rolling with laughter"], ["😊", "Smiling"], ["😍", "Heart eyes"], ["😘", "Kiss"], ["😎", "Sunglasses"], ["🤩", "Star-struck"],
  ["🤔", "Thinking"], ["😮", "Surprised"], ["😅", "Sweat smile"], ["🙃", "Upside down"], ["😉", "Wink"], ["😴", "Sleeping"], ["🥳", "Celebrating"], ["🤯", "Mind blown"],
  ["😢", "Sad"], ["😭", "Crying"], ["😡", "Angry"], ["🤢", "Sick"], ["🙄", "Eye roll"], ["😬", "Grimacing"], ["🤷", "Shrug"], ["🤦", "Face palm"],
  ["👌", "OK"], ["✌️", "Peace"], ["🤞", "Fingers crossed"], ["💪", "Strong"], ["🙌", "Raised hands"], ["🤝", "Handshake"], ["👀", "Eyes"], ["🫶", "Heart hands"],
  ["✅", "Done"], ["❌", "Cross"], ["❓", "Question"], ["⭐", "Star"], ["🚀", "Rocket"], ["💡", "Idea"], ["☕", "Coffee"], ["🍕", "Pizza"],
];

const NAMES = new Map([...MORE]);

/** Return what an emoji is called, or the emoji itself. */
export const nameOfEmoji = (emoji) => NAMES.get(emoji) ?? emoji;
