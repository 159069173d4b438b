/** When to send what is written: the menu of a message, with times. */
import { _ } from "../i18n.js";
import { MessageMenu } from "./message-menu.js";

class LaterMenu extends MessageMenu {
  static label = _("Send later");
  static items = [];

  /** Open at an element with items, [name, words, picture] each. */
  offer(items, at) {
    LaterMenu.items = items;
    this.open({ message: {}, can: items.map(([name]) => name), at });
  }
}

customElements.define("later-menu", LaterMenu);
