import { Schema } from "effect"

export class DockerUnavailable extends Schema.TaggedError<DockerUnavailable>()("DockerUnavailable", {}) {
  override get message() {
    return "No Docker daemon answers: start Docker, or set DOCKER_HOST to where it is."
  }
}

/** `setting` is the environment variable that names another image. */
export class ImageUnavailable extends Schema.TaggedError<ImageUnavailable>()("ImageUnavailable", {
  image: Schema.String,
  setting: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `The image ${this.image} is not here and cannot be pulled: load it, or set ${this.setting} to another (${this.problem}).`
  }
}
