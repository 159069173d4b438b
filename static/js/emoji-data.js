/** The emoji that one can choose from, by category: each with the English words by which it is found. */
import { _, language } from "./i18n.js";

const ALL = {
  [_("Smileys")]: "😀 grinning happy|😃 smiley joy|😄 smile eyes|😁 beaming grin|😆 laughing|😅 sweat smile relief|🤣 rolling laughter|😂 tears of joy|🙂 slight smile|🙃 upside down|😉 wink|😊 blush smiling|😇 angel halo|🥰 in love hearts|😍 heart eyes|🤩 star-struck|😘 kiss|😚 kiss closed eyes|😋 yummy|😛 tongue|😜 crazy wink|🤪 zany|🤑 money|🤗 hug|🤭 giggle oops|🤫 quiet shush|🤔 thinking|🤐 zipped|🤨 raised eyebrow|😐 neutral|😑 expressionless|😶 speechless|😏 smirk|😒 unamused|🙄 eye roll|😬 grimace|😌 relieved|😔 pensive sad|😪 sleepy|🤤 drooling|😴 sleeping|😷 mask ill|🤒 fever|🤕 hurt bandage|🤢 nausea sick|🤮 vomit|🤧 sneeze cold|🥵 hot|🥶 cold freezing|😵 dizzy|🤯 mind blown|🥳 celebrating party|😎 cool sunglasses|🤓 nerd|🧐 monocle|😕 confused|😟 worried|🙁 slight frown|😮 surprised|😲 astonished|😳 flushed|🥺 pleading|😨 afraid|😰 anxious|😥 disappointed|😢 crying|😭 sobbing|😱 scream|😖 confounded|😞 disappointed|😓 sweat|😩 weary|😫 tired|🥱 yawn|😤 huff|😡 angry|🤬 swearing|😈 devil|💀 skull dead|💩 poo|🤡 clown|👻 ghost|👽 alien|🤖 robot",
  [_("People")]: "👍 thumbs up yes|👎 thumbs down no|👌 ok|🤌 pinched|✌️ victory peace|🤞 fingers crossed luck|🤟 love you|🤘 horns rock|🤙 call me|👈 left|👉 right|👆 up|👇 down|☝️ one index|✋ hand stop|👋 wave hello|👏 clap bravo|🙌 raised hands|🫶 heart hands|👐 open hands|🤲 palms up|🤝 handshake deal|🙏 thank you please|✍️ writing|💅 nails|🤳 selfie|💪 strong muscle|🧠 brain|👀 eyes look|👁️ eye|👅 tongue|👄 mouth|👶 baby|🧒 child|👦 boy|👧 girl|🧑 person|👨 man|👩 woman|🧓 older person|👮 police|👷 builder|💂 guard|🕵️ detective|👩‍⚕️ doctor|👩‍🏫 teacher|👩‍💻 developer|👩‍🔬 scientist|👩‍🚀 astronaut|🧙 mage|🦸 hero|🧜 mermaid|🙅 no|🙆 ok|🤷 shrug|🤦 facepalm|🙋 raised hand|🏃 running|🚶 walking|💃 dancing|🕺 dancing man|👫 couple|👨‍👩‍👧 family",
  [_("Nature")]: "🐶 dog|🐱 cat|🐭 mouse|🐹 hamster|🐰 rabbit|🦊 fox|🐻 bear|🐼 panda|🐨 koala|🐯 tiger|🦁 lion|🐮 cow|🐷 pig|🐸 frog|🐵 monkey|🙈 see no evil|🙉 hear no evil|🙊 speak no evil|🐔 chicken|🐧 penguin|🐦 bird|🦆 duck|🦉 owl|🐺 wolf|🐴 horse|🦄 unicorn|🐝 bee|🦋 butterfly|🐌 snail|🐞 ladybird|🐢 turtle|🐍 snake|🐙 octopus|🐠 fish|🐬 dolphin|🐳 whale|🦈 shark|🐘 elephant|🦔 hedgehog|🌵 cactus|🎄 christmas tree|🌲 tree|🌴 palm|🍀 clover luck|🍁 maple leaf|🍄 mushroom|🌹 rose|🌻 sunflower|🌷 tulip|🌸 blossom|🌍 earth|🌙 moon|⭐ star|🌟 glowing star|✨ sparkles|⚡ lightning|🔥 fire|🌈 rainbow|☀️ sun|⛅ cloudy|☁️ cloud|🌧️ rain|⛄ snowman|❄️ snow|💧 drop|🌊 wave sea",
  [_("Food")]: "🍏 apple|🍎 red apple|🍐 pear|🍊 orange|🍋 lemon|🍌 banana|🍉 melon|🍇 grapes|🍓 strawberry|🍒 cherries|🍑 peach|🥭 mango|🍍 pineapple|🥝 kiwi|🍅 tomato|🥑 avocado|🥦 broccoli|🥕 carrot|🌽 corn|🌶️ chili|🥔 potato|🥐 croissant|🍞 bread|🥨 pretzel|🧀 cheese|🥚 egg|🥞 pancakes|🥓 bacon|🍗 chicken|🍔 burger|🍟 fries|🍕 pizza|🌭 hot dog|🥪 sandwich|🌮 taco|🌯 burrito|🥗 salad|🍝 pasta|🍜 noodles|🍣 sushi|🍚 rice|🍦 ice cream|🍰 cake|🎂 birthday cake|🍫 chocolate|🍿 popcorn|🍩 doughnut|🍪 cookie|🍯 honey|☕ coffee|🍵 tea|🥤 soft drink|🍺 beer|🍻 cheers|🥂 toast champagne|🍷 wine|🍸 cocktail|🍾 bottle",
  [_("Activities")]: "⚽ football|🏀 basketball|🏈 american football|⚾ baseball|🎾 tennis|🏐 volleyball|🎱 billiards|🏓 table tennis|🏸 badminton|⛳ golf|🏹 archery|🎣 fishing|🥊 boxing|⛷️ ski|🏂 snowboard|🏋️ weights|🚴 cycling|🏊 swimming|🧗 climbing|🧘 yoga|🏆 trophy|🥇 gold first|🥈 silver second|🥉 bronze third|🎯 target|🎮 game|🎲 dice|♟️ chess|🧩 puzzle|🎨 art|🎭 theatre|🎤 microphone|🎧 headphones|🎸 guitar|🎹 piano|🥁 drum|🎬 film|🎉 party tada|🎊 confetti|🎈 balloon|🎁 gift|🎀 ribbon",
  [_("Travel")]: "🚗 car|🚕 taxi|🚌 bus|🚑 ambulance|🚒 fire engine|🚜 tractor|🚲 bicycle|🛵 scooter|🏍️ motorcycle|🚂 train|🚇 metro|🚊 tram|✈️ plane|🚀 rocket|🛸 ufo|🚁 helicopter|⛵ sailing|🚢 ship|⚓ anchor|🗺️ map|🗽 liberty|🗼 tower|🏰 castle|🎡 ferris wheel|🏖️ beach|🏝️ island|🏔️ mountain|⛺ camping|🏠 house|🏢 office|🏥 hospital|🏫 school|⛪ church|🕌 mosque|🌃 night|🌅 sunrise|🧳 luggage|🚧 construction",
  [_("Objects")]: "⌚ watch|📱 phone|💻 laptop|⌨️ keyboard|🖨️ printer|📷 camera|🎥 video|☎️ telephone|📺 television|⏰ alarm|⏳ hourglass|🔋 battery|🔌 plug|💡 idea bulb|🔦 torch|🕯️ candle|💰 money bag|💳 card|💎 gem|🔧 wrench|🔨 hammer|🧲 magnet|💊 pill|💉 syringe|🔬 microscope|🔭 telescope|🚪 door|🛏️ bed|🛒 cart|🔑 key|🔒 locked|🔓 unlocked|📦 package|📧 mail|📎 paperclip|✂️ scissors|📌 pin|📅 calendar|📈 up chart|📉 down chart|📚 books|📖 book|📝 note|🔍 search|🔔 bell|📣 megaphone|🧹 broom|🗑️ bin",
  [_("Symbols")]: "❤️ heart love|🧡 orange heart|💛 yellow heart|💚 green heart|💙 blue heart|💜 purple heart|🖤 black heart|🤍 white heart|💔 broken heart|💕 two hearts|💖 sparkling heart|💯 hundred|💥 boom|💫 dizzy|💬 speech|💤 sleep zzz|✅ done check|☑️ ticked|✔️ tick|❌ cross no|❓ question|❗ exclamation|‼️ double exclamation|⚠️ warning|🚫 forbidden|⛔ no entry|♻️ recycle|➕ plus|➖ minus|➡️ right arrow|⬅️ left arrow|⬆️ up arrow|⬇️ down arrow|🔁 repeat|🆗 ok|🆕 new|🆒 cool|🔴 red|🟠 orange|🟡 yellow|🟢 green|🔵 blue|🟣 purple|⚫ black|⚪ white|🏁 finish flag|🚩 flag|🏳️‍🌈 rainbow flag",
};

/** Return {category, emoji: [{emoji, name, words}]}, in the order in which they are shown; `own` has names and words of another language. */
export const named = (own) =>
  Object.entries(ALL).map(([category, text]) => ({
    category,
    emoji: text.split("|").map((one) => {
      const [emoji, english] = [one.slice(0, one.indexOf(" ")), one.slice(one.indexOf(" ") + 1)];
      return { emoji, name: own[emoji]?.split("|")[0] ?? english, words: fold([own[emoji], english].join(" ").trim()) };
    }),
  }));

/** As letters are compared: small, and without accents. */
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

// What cannot be had now stays English.
const own = language === "en" ? {} : await import(`./i18n/emoji-${language}.js`).then(({ WORDS }) => WORDS, () => ({}));

export const CATEGORIES = named(own);

/** Return the emoji that have all of the words that were typed, or the beginnings of words; Chinese has no spaces between them. */
export function found(typed, categories = CATEGORIES) {
  const wanted = fold(typed).split(/\s+/u).filter(Boolean);
  const has = (words, one) => (/\p{Script=Han}/u.test(one) ? words.includes(one) : words.split(/[^\p{L}\p{N}]+/u).some((word) => word.startsWith(one)));
  return categories.flatMap(({ emoji }) => emoji).filter(({ words }) => wanted.every((one) => has(words, one)));
}
