terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

variable "name" {
  type = string
}

resource "fakecloud_bucket" "inner" {
  name = var.name
}

output "id" {
  value = fakecloud_bucket.inner.id
}
