terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "fakecloud_bucket" "both" {
  name = "both"
  size = 5
  acl  = "private"
}

resource "fakecloud_bucket" "overwritten" {
  name = "overwritten"
  size = 5
}

resource "fakecloud_bucket" "computed" {
  name = "computed"
  acl  = "private"
}

resource "fakecloud_bucket" "removed" {
  name = "removed"
  size = 5
}

resource "terraform_data" "other" {
  input = "v1"
}
