// A thing that moves from where it is to where it should be, in a short while, the short way round.
import { reducedMotion } from "@/design/theme";

export interface Pose {
  lat: number;
  lng: number;
  course: number;
}

const GLIDE_MS = 1600;
/** A jump of more degrees than this is shown as a jump. */
const FAR_DEG = 0.5;

export class Glide {
  private from: Pose;
  private to: Pose;
  private began = 0;
  private frame = 0;

  constructor(
    start: Pose,
    private readonly show: (pose: Pose) => void,
  ) {
    this.from = this.to = start;
    show(start);
  }

  goTo(target: Pose): void {
    const now = this.now();
    const turn = ((target.course - now.course + 540) % 360) - 180;
    this.from = now;
    this.to = { ...target, course: now.course + turn };
    this.began = performance.now();
    const far = Math.abs(now.lat - target.lat) + Math.abs(now.lng - target.lng) > FAR_DEG;
    if (far || reducedMotion.value || document.hidden) this.from = this.to;
    cancelAnimationFrame(this.frame);
    this.step();
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
  }

  private now(): Pose {
    const share = Math.min(1, (performance.now() - this.began) / GLIDE_MS);
    const eased = 1 - (1 - share) ** 3;
    const mix = (a: number, b: number): number => a + (b - a) * eased;
    return {
      lat: mix(this.from.lat, this.to.lat),
      lng: mix(this.from.lng, this.to.lng),
      course: mix(this.from.course, this.to.course),
    };
  }

  private readonly step = (): void => {
    this.show(this.now());
    if (this.from !== this.to && performance.now() - this.began < GLIDE_MS)
      this.frame = requestAnimationFrame(this.step);
  };
}
