terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "fakecloud_bucket" "base" {
  name = "base"
}

resource "fakecloud_bucket" "follower" {
  name = "after-${fakecloud_bucket.base.id}"
}

resource "fakecloud_bucket" "label" {
  name = "label"
  acl  = fakecloud_bucket.base.id
}

output "base" {
  value = fakecloud_bucket.base.id
}
