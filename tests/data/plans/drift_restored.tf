terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "fakecloud_bucket" "logs" {
  name = "logs"
  size = 5
  acl  = "private"
}
