// What the pages use and the oldest browsers that they run in lack (Safari of iOS 13, Chromium 86). `build/checkOlderPhones.mjs`
// looks for more of that in what was built; what a browser shows is asked for where it is used.

/** Before iOS 13.4: looks when the window changes and now and then, which is when sizes change here. */
class SizeWatch implements ResizeObserver {
  private readonly sizes = new Map<Element, string>();
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly changed: ResizeObserverCallback) {}

  observe(element: Element): void {
    this.sizes.set(element, "");
    this.timer ??= setInterval(this.look, 500);
    window.addEventListener("resize", this.look);
    requestAnimationFrame(this.look);
  }

  unobserve(element: Element): void {
    this.sizes.delete(element);
  }

  disconnect(): void {
    this.sizes.clear();
    clearInterval(this.timer);
    this.timer = undefined;
    window.removeEventListener("resize", this.look);
  }

  private readonly look = (): void => {
    let isChanged = false;
    for (const [element, before] of this.sizes) {
      const size = `${element.clientWidth}x${element.clientHeight}`;
      if (size !== before) isChanged = true;
      this.sizes.set(element, size);
    }
    if (isChanged) this.changed([], this);
  };
}

window.ResizeObserver ??= SizeWatch;

/** Before iOS 14 a query of the screen knows listeners by another name. */
type Query = typeof MediaQueryList.prototype;
if (typeof MediaQueryList.prototype.addEventListener !== "function") {
  MediaQueryList.prototype.addEventListener = function (this: Query, _type: string, act: unknown): void {
    this.addListener(act as (event: MediaQueryListEvent) => void);
  };
  MediaQueryList.prototype.removeEventListener = function (this: Query, _type: string, act: unknown): void {
    this.removeListener(act as (event: MediaQueryListEvent) => void);
  };
}
