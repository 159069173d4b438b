/** What one may do with a conversation of the list: the menu of a message, with other items. */
import { MessageMenu } from "./message-menu.js";

class ConversationMenu extends MessageMenu {
  static label = "Conversation actions";
  static items = [
    ["top", "Pin to top", "pin"],
    ["untop", "Unpin from top", "pin"],
    ["read", "Mark as read", "check"],
    ["unread", "Mark as unread", "unread"],
    ["mute", "Mute", "muted"],
    ["mute-8h", "Mute for 8 hours", "muted"],
    ["unmute", "Unmute", "muted"],
    ["archive", "Archive", "archive"],
    ["unarchive", "Take out of the archive", "archive"],
  ];
}

customElements.define("conversation-menu", ConversationMenu);
