/** What one may do with a conversation of the list: the menu of a message, with other items. */
import { _ } from "../i18n.js";
import { MessageMenu } from "./message-menu.js";

class ConversationMenu extends MessageMenu {
  static label = _("Conversation actions");
  static items = [
    ["top", _("Pin to top"), "pin"],
    ["untop", _("Unpin from top"), "pin"],
    ["read", _("Mark as read"), "check"],
    ["unread", _("Mark as unread"), "unread"],
    ["mute", _("Mute"), "muted"],
    ["mute-8h", _("Mute for 8 hours"), "muted"],
    ["unmute", _("Unmute"), "muted"],
    ["archive", _("Archive"), "archive"],
    ["unarchive", _("Take out of the archive"), "archive"],
  ];
}

customElements.define("conversation-menu", ConversationMenu);
