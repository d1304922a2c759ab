terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "fakecloud_bucket" "base" {
  name = "base"
  size = 5
}

resource "terraform_data" "triggered" {
  input = "constant"

  lifecycle {
    replace_triggered_by  = [fakecloud_bucket.base.size]
    create_before_destroy = true
  }
}

resource "terraform_data" "spare" {
  triggers_replace = "constant"
}
