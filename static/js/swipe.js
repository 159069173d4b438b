/** With a finger: a message that is drawn to the right is answered. */
const AT = 56;
const MOST = 84;
/** What is drawn sideways itself. */
const OWN = "pre, button, a, input, audio, video";

/** Let messages of `list` be drawn; `answer(node)` is called with the one that was drawn far enough. */
export function serve(list, answer) {
  let drawn = null;
  const still = () => {
    if (drawn) drawn.node.style.translate = "";
    drawn = null;
  };
  list.style.touchAction = "pan-y";
  list.addEventListener("touchstart", ({ touches, target }) => {
    still();
    const node = target.closest(".message");
    if (node && touches.length === 1 && !target.closest(OWN)) drawn = { node, x: touches[0].clientX, y: touches[0].clientY, by: 0 };
  }, { passive: true });
  list.addEventListener("touchmove", ({ touches }) => {
    if (!drawn) return;
    const by = touches[0].clientX - drawn.x;
    // Up or down it is scrolling.
    if (touches.length > 1 || (!drawn.by && Math.abs(touches[0].clientY - drawn.y) > Math.max(10, by))) {
      still();
      return;
    }
    drawn.by = by > 10 ? Math.min(by, MOST) : 0;
    drawn.node.style.translate = drawn.by ? `${drawn.by}px` : "";
  }, { passive: true });
  list.addEventListener("touchend", () => {
    const { node, by } = drawn ?? {};
    still();
    if (by >= AT) answer(node);
  }, { passive: true });
  list.addEventListener("touchcancel", still, { passive: true });
}
